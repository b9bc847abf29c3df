/* SPDX-License-Identifier: MIT */
/*
 * What a program may ask of a `nestfd run` that spy.c is linked into: ioctls on
 * /dev/iommu whose argument is a number, and so is the answer. The others know
 * none of them: ENOTTY.
 */
#ifndef TESTS_ERRORS_SPY_H
#define TESTS_ERRORS_SPY_H

#include <sys/ioctl.h>

#define SPY_ATTACH	_IO(';', 0xe0) /* device 47:32, pt_id */
#define SPY_MOVED	_IO(';', 0xe1) /* ATS 8, device */
#define SPY_HELD	_IO(';', 0xe2) /* device */
#define SPY_QUARANTINES _IO(';', 0xe3)
#define SPY_RESET	_IO(';', 0xe4) /* device */
#define SPY_BREAK	_IO(';', 0xe5) /* opcode 15:8, kind of fault */
#define SPY_MEND	_IO(';', 0xe6)

#endif
