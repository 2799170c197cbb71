/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lab's command protocol: frames on one byte stream between a client on the machine and an agent in dom0 or in a guest.
 *
 * A frame is a header of 12 bytes, little endian, and a payload. A channel is one command; its number is the client's choice and is
 * free again after EXIT. Output and stdin are flow-controlled one by one: a sender has VF_WINDOW bytes of credit a stream and gets back
 * what its peer consumed, so that a command whose output nobody reads holds up no other.
 */
#ifndef VIRTFLEX_LAB_FRAME_H
#define VIRTFLEX_LAB_FRAME_H

#include <stdint.h>

#define VF_FRAME_MAX 65536 /* largest payload */
#define VF_WINDOW 262144   /* credit of a fresh stream, bytes */

enum vf_frame_type {
	/* client to agent */
	VF_EXEC = 1,   /* argv, each string ended by NUL */
	VF_STDIN = 2,  /* bytes; none: end of file */
	VF_SIGNAL = 3, /* u32 signal number, for the command's process group */
	/* agent to client */
	VF_HELLO = 16,  /* channel 0: the agent is ready */
	VF_STDOUT = 17, /* bytes */
	VF_STDERR = 18, /* bytes */
	VF_EXIT = 19,   /* u32 how (enum vf_exit), u32 value; the channel's last frame */
	/* both ways */
	VF_CREDIT = 32, /* u32 type of the stream, u32 bytes consumed of it */
};

enum vf_exit {
	VF_EXITED = 0,   /* value: exit status */
	VF_SIGNALED = 1, /* value: signal number */
	VF_NOT_RUN = 2,  /* value: errno */
};

struct vf_frame {
	uint32_t channel;
	uint32_t type;
	uint32_t length; /* of the payload */
};

#endif
