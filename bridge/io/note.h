/*
 * bridge/io/note.h - the ELF note by which PID 1 knows ferry's programs
 *
 * One of these stands at file scope in the program's main file:
 *
 *	CONTROL_NOTE(1);	the agent (CONTROL_NOTE_AGENT)
 *	CONTROL_NOTE(2);	the wrapper (CONTROL_NOTE_WRAPPER)
 *
 * The type is a plain digit because the assembler reads it. Layout: System V
 * ABI, "Note Section": sizes of name and description, type, both padded to 4.
 */
#ifndef FERRY_BRIDGE_IO_NOTE_H
#define FERRY_BRIDGE_IO_NOTE_H

#include "bridge/io/control.h"

#define CONTROL_NOTE(type)                                                     \
	_Static_assert((type) == CONTROL_NOTE_AGENT ||                         \
			       (type) == CONTROL_NOTE_WRAPPER,                 \
		       "a note type of control.h");                            \
	_Static_assert(CONTROL_VERSION == 1, "the description below");         \
	__asm__(".pushsection .note.ferry,\"a\",%note\n"                       \
		".balign 4\n"                                                  \
		".long 6\n"                                                    \
		".long 4\n"                                                    \
		".long " #type "\n"                                            \
		".asciz \"ferry\"\n"                                           \
		".balign 4\n"                                                  \
		".long 1\n"                                                    \
		".popsection\n")

#endif
