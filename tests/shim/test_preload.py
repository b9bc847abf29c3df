#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a program meets when it is served in its own process."""
import os
import subprocess
import unittest

import kit
from kit import CLIENT, Case, nestfd_run


class OneProcess(Case):
    def test_calls_answer_as_linux(self):
        self.scenario("calls")

    def test_error_codes_and_rings_for_who_asks(self):
        self.scenario("ring")

    def test_every_way_to_open_it(self):
        self.scenario("ways-to-open")

    def test_stat_and_access_see_a_character_device(self):
        self.scenario("looks")

    def test_duplicates_are_the_same_context(self):
        self.scenario("duplicates")

    def test_contexts_are_apart_and_end_with_the_last_close(self):
        self.scenario("contexts")

    def test_memory_is_mapped_and_looked_at(self):
        self.scenario("memory")

    def test_event_and_fault_queues_are_fds(self):
        self.scenario("queues")

    def test_closing_all_fds_closes_none_of_ours(self):
        self.scenario("close-everything")

    def test_ioctls_of_other_subsystems_pass(self):
        self.scenario("other-subsystems")

    def test_proc_status_says_what_is_pinned(self):
        self.scenario("status")

    def test_proc_status_says_what_is_locked_by_process(self):
        self.scenario("status", "by-process", options=("--iommu", "mock"))

    def test_a_machine_that_caches_with_malice(self):
        self.scenario("memory",
                      options=("--cache", "hostile", "--device", "edu@5"))


class Memory(Case):
    def goes_away(self, how):
        self.scenario("goes-away", how, options=("--iommu", "mock"))
        self.scenario("goes-away", how, "forwarded",
                      options=("--iommu", "mock"))

    def test_what_munmap_takes_is_not_what_comes_next(self):
        self.goes_away("munmap")

    def test_what_mmap_replaces(self):
        self.goes_away("mmap")

    def test_what_mremap_moves_and_shrinks(self):
        self.goes_away("mremap")

    def test_what_brk_takes(self):
        self.goes_away("brk")

    def test_what_shmdt_takes(self):
        self.goes_away("shmdt")

    @unittest.skipIf("address" in kit.SANITIZE, "its free() keeps all for long")
    def test_what_free_takes_and_mmap_gives(self):
        self.goes_away("free")

    def test_files_stay(self):
        self.scenario("files-stay", options=("--iommu", "mock"))


class Many(Case):
    def test_a_hundred_thousand_objects(self):
        self.scenario("many-objects", options=())

    def test_an_id_that_is_used_again_is_another_object(self):
        self.scenario("reused-ids", options=())

    def test_each_object_is_destroyed_once(self):
        self.scenario("stolen-ids", options=())


class Queues(Case):
    def mock(self, *args):
        self.scenario(*args, options=("--iommu", "mock"))

    def test_poll_says_just_what_read_will_find(self):
        self.mock("queue-levels")

    def test_a_queue_outlives_the_fd_of_dev_iommu(self):
        self.mock("queue-outlives")

    def test_no_event_waits_unseen_while_many_read(self):
        self.mock("queue-many-readers")

    def test_closing_while_others_read(self):
        self.mock("queue-closed-meanwhile")

    def test_a_child_reads_polls_and_closes_the_same_queue(self):
        self.mock("queue-forked")

    def test_it_survives_exec(self):
        self.mock("queue-executed")

    def test_it_survives_its_owner_s_exec(self):
        self.mock("queue-executed", "itself")

    def test_it_can_be_sent_alone(self):
        self.mock("queue-sent")

    def test_faults_are_answered_from_anywhere(self):
        self.mock("fault-queues")


class KilledOwner(Case):
    def test_what_others_hold_answers_enodev(self):
        for how in ("fork", "exec", "dup", "spawn", "send"):
            for calls in "01":
                with self.subTest(how=how, calls=calls):
                    self.scenario("killed", how, calls)

    def test_in_the_middle_of_calls(self):
        self.scenario("killed-meanwhile")


class Processes(Case):
    def test_a_forked_child_is_forwarded(self):
        self.scenario("forks")

    def test_a_child_s_own_memory_and_fds_are_used(self):
        self.scenario("fork-data")

    def test_proc_status_of_a_parent_and_of_its_child(self):
        self.scenario("fork-status")

    def test_queues_of_and_in_a_child(self):
        self.scenario("fork-queue")

    @unittest.skipIf(kit.KEEPERS_MAY_HANG, "libasan does not mind fork()")
    def test_a_child_outlives_the_owner(self):
        self.scenario("orphans")

    def test_objects_survive_exec(self):
        self.scenario("execs")

    def test_an_unused_fd_belongs_to_who_uses_it_first(self):
        self.scenario("execs", "unused")

    def test_fds_sent_to_others_and_back(self):
        self.scenario("sends")

    def test_vfork_and_posix_spawn_leave_it_alone(self):
        self.scenario("spawns")


class Threads(Case):
    def test_eight_threads_at_once(self):
        self.scenario("threads")

    def test_eight_threads_of_a_child_and_of_its_parent(self):
        self.scenario("threads", "forwarded")

    def test_closing_while_others_call(self):
        self.scenario("closes-meanwhile")

    def test_forking_while_others_call(self):
        self.scenario("forks-meanwhile")


class Signals(Case):
    def test_a_fault_handler_from_before(self):
        self.scenario("handler-before")

    def test_a_fault_handler_from_later(self):
        self.scenario("handler-after")

    def test_bus_errors(self):
        self.scenario("bus-errors")

    def test_wild_pointers_while_all_signals_are_blocked(self):
        self.scenario("blocked")

    def test_a_handler_that_calls(self):
        self.scenario("handler-calls")
        self.scenario("handler-calls", "late")

    def test_a_handler_that_jumps_away(self):
        self.scenario("handler-jumps")

    def test_sigaction_tells_what_was_asked_for(self):
        self.scenario("actions")


class BadInput(Case):
    def test_wild_pointers(self):
        self.scenario("wild-pointers")

    def test_wild_paths(self):
        self.scenario("wild-paths")

    def test_answers_that_cannot_be_written(self):
        self.scenario("read-only-struct", options=())

    def test_sizes(self):
        self.scenario("sizes")

    def test_numbers(self):
        self.scenario("numbers")

    def test_garbage(self):
        for seed in range(1, 6):
            self.scenario("garbage", str(seed))

    def test_abuse_of_the_fd(self):
        self.scenario("abuse-of-the-fd")


class ThirtyAndMore(Case):
    def test_an_fd_that_is_open_from_the_start(self):
        self.scenario("is-mine", "30", options=("--fd", "30"))

    def test_it_goes_through_a_shell(self):
        r = nestfd_run("--fd", "30", "--", "sh", "-c",
                       f"{CLIENT} is-mine 30")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        r = nestfd_run("--fd", "9", "--", "sh", "-c",
                       f"exec {CLIENT} is-mine 9")
        self.assertEqual((r.returncode, r.stderr), (0, ""))


class Neighbours(Case):
    def test_other_preloaded_libraries_stay(self):
        libc = "libpthread.so.0"
        old = kit.environment().get("LD_PRELOAD")
        old = f"{old}:{libc}" if old else libc
        r = nestfd_run("--", "sh", "-c", "echo $LD_PRELOAD",
                       env=kit.environment(LD_PRELOAD=old))
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stdout,
                         f"^{old}:/[^:]*/libnestfd-preload.so\n$")

    @unittest.skipIf(kit.SANITIZE != "none", "it has an allocator of its own")
    def test_one_with_hooks_and_an_allocator_of_its_own(self):
        env = kit.environment(LD_PRELOAD=os.environ["OTHER_PRELOAD"],
                              OTHER_PRELOAD_SAYS="1")
        for args in (("calls",), ("threads",), ("reused-ids",),
                     ("goes-away", "munmap"), ("goes-away", "mremap"),
                     ("goes-away", "munmap", "forwarded"), ("forks",),
                     ("queue-levels",), ("queue-sent",), ("spawns",)):
            with self.subTest(args=args):
                r = nestfd_run("--iommu", "mock", "--", CLIENT, *args, env=env)
                self.assertEqual((r.returncode, r.stderr), (0, ""))
                self.assertRegex(r.stdout, "seen: 11.1\n")

    def test_a_program_that_touches_nothing(self):
        r = nestfd_run("--", CLIENT, "touches-nothing", "7")
        self.assertEqual((r.returncode, r.stdout, r.stderr),
                         (7, "nothing touched\n", ""))

    def test_programs_everybody_has(self):
        for args in (("ls", "/"), ("python3", "-c", "print(6 * 7)"),
                     ("bash", "-c", "for i in 1 2 3; do (echo $i); done"),
                     ("sh", "-c", "echo a | cat | tr a b")):
            self.assertEqual(nestfd_run("--", *args).stdout,
                             subprocess.run(args, capture_output=True,
                                            text=True).stdout)


if __name__ == "__main__":
    kit.main()
