# The networked node behind the bootloader: node.bin is what is signed and installed. It is linked once for the
# execution area, and for each slot, for boards that run firmware where it stands.
add_library(node_image OBJECT start.c ../../boot/lent.c)
include(../facts.cmake)
tf_add_facts(node_image "${TINYFLEET_BOARD}")
target_link_libraries(node_image PUBLIC node_parts PRIVATE tf_runtime bearssl tf_strict)

function(add_node name layout origin what)
  add_executable(${name} ${TINYFLEET_CORTEX_M}/${layout}.c)
  target_link_libraries(${name} PRIVATE node_image node_parts tf_port tf_board tf_strict)
  tf_link_at(${name} ${origin} "1M - 1K" 16K ${what})
  add_custom_command(
    TARGET ${name} POST_BUILD COMMAND ${TINYFLEET_OBJCOPY} -O binary $<TARGET_FILE:${name}>
                                      $<TARGET_FILE_DIR:${name}>/${name}.bin)
endfunction()

add_node(node layout_ram 0x10400 "A node, copied by the bootloader to the execution area behind its header.")
# Offsets of the slots (SPEC section 8) and the header's bytes.
set(behind_a 0x100400)
set(behind_b 0x200400)
foreach(slot a b)
  math(EXPR origin "${TINYFLEET_FLASH_BASE} + ${behind_${slot}}" OUTPUT_FORMAT HEXADECIMAL)
  add_node(node_xip_${slot} layout_xip ${origin} "A node that runs in slot ${slot}, behind its header.")
endforeach()
