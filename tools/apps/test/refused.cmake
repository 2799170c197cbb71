# SPDX-License-Identifier: Apache-2.0
# PROGRAM with ARGUMENTS exits with 2, says NAMED on stderr, nothing on stdout.
execute_process(COMMAND ${PROGRAM} ${ARGUMENTS}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE errors)
if(NOT status EQUAL 2)
  message(FATAL_ERROR "exit status ${status}, expected 2")
endif()
if(NOT output STREQUAL "")
  message(FATAL_ERROR "wrote to stdout: ${output}")
endif()
string(FIND "${errors}" "${NAMED}" at)
if(at EQUAL -1)
  message(FATAL_ERROR "the message doesn't name ${NAMED}: ${errors}")
endif()
