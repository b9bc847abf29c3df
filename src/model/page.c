// SPDX-License-Identifier: MIT
/* Answers to page requests of devices. */
#include "model/engine.h"

void page_answer(struct engine_port *port, uint16_t group, uint32_t pasid,
		 uint8_t code)
{
	const struct model_port_config *config = &port->config;
	const struct model_page_response response = {
		.pasid = pasid,
		.group = group,
		.code = code,
	};

	if (config->page_response)
		config->page_response(config->ctx, &response);
}

void page_respond(struct engine *e, uint32_t sid, uint16_t group,
		  uint32_t pasid, uint8_t code)
{
	pthread_mutex_lock(&e->ports_lock);
	for (size_t n = port_find(e, sid); n < e->port_count; n++) {
		struct engine_port *port = e->ports[n];

		if (port->config.stream_id != sid)
			break;
		if (!__atomic_load_n(&port->failed, __ATOMIC_ACQUIRE))
			page_answer(port, group, pasid, code);
	}
	pthread_mutex_unlock(&e->ports_lock);
}
