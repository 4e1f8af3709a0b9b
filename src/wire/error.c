/* SPDX-License-Identifier: MIT */
#include "wire/error.h"

const char *wire_error_name(int error)
{
	switch (error < 0 ? -(long)error : error) {
	case WIRE_OK:
		return "ok";
#define WIRE_ERROR_CASE(name, text) \
	case WIRE_##name:           \
		return text;
		WIRE_ERRORS(WIRE_ERROR_CASE)
#undef WIRE_ERROR_CASE
	default:
		return "unknown";
	}
}
