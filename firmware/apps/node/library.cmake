# libtinyfleet_node.a: all of the node but what a port provides, node_port.h and socket_port.h.
add_library(tinyfleet_node STATIC)
foreach(part node_parts tf_net tf_ota tf_live tf_console tf_telemetry tf_runtime tf_wire tf_boot bearssl)
  target_sources(tinyfleet_node PRIVATE $<TARGET_OBJECTS:${part}>)
endforeach()
target_include_directories(tinyfleet_node INTERFACE ../../include)
