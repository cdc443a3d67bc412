# A chip whose network is not ours: the node as libtinyfleet_node.a for whoever brings sockets, the bootloader for
# firmware that runs where it stands, and the conformance test, which is what such a board runs first.
add_library(tf_board OBJECT ${CORTEX_M_BOARD} ${chip_board_sources})
target_include_directories(tf_board PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}" ${chip_machine} "${TINYFLEET_CORTEX_M}")
target_link_libraries(tf_board PRIVATE tf_strict)
add_library(tf_port OBJECT ${CORTEX_M_PORT} "${TINYFLEET_CORTEX_M}/chip_port.c" ${chip_port_sources})
target_link_libraries(tf_port PUBLIC tf_board PRIVATE tf_strict)

set(TINYFLEET_NETWORK OFF)
if(NOT DEFINED chip_has_node OR chip_has_node)
  tf_add_bootloader(boot_xip xip ${TINYFLEET_CODE_BASE} 32K)
  add_subdirectory("${CMAKE_SOURCE_DIR}/apps/node" "${CMAKE_BINARY_DIR}/apps/node")
endif()
add_subdirectory("${CMAKE_SOURCE_DIR}/apps/conformance" "${CMAKE_BINARY_DIR}/apps/conformance")
