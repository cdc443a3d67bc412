# What ports to Cortex-M link with. A port says by tf_link_memory() where its RAM and the RAM that no start clears
# are, and adds two libraries of objects: `tf_board`, what bootloader and firmware both need, and `tf_port`, the
# firmware's. Objects, not archives: format.c stands before the C library.
set(TINYFLEET_CORTEX_M "${CMAKE_CURRENT_LIST_DIR}" CACHE INTERNAL "What all ports to Cortex-M share")
find_program(TINYFLEET_SIZE arm-none-eabi-size REQUIRED)
find_program(TINYFLEET_OBJCOPY arm-none-eabi-objcopy REQUIRED)

set(board_sources startup.c handoff.c)
set(port_sources say.c format.c fault.c)
list(TRANSFORM board_sources PREPEND "${TINYFLEET_CORTEX_M}/" OUTPUT_VARIABLE CORTEX_M_BOARD)
list(TRANSFORM port_sources PREPEND "${TINYFLEET_CORTEX_M}/" OUTPUT_VARIABLE CORTEX_M_PORT)

# Links an executable for an address; prints its size, and leaves a map of what went where beside it.
function(tf_link_at name origin bytes stack what)
  set(LINK_ORIGIN ${origin})
  set(LINK_BYTES ${bytes})
  set(LINK_STACK ${stack})
  set(LINK_WHAT ${what})
  foreach(place RAM RAM_BYTES NOINIT NOINIT_BYTES)
    get_property(LINK_${place} GLOBAL PROPERTY TINYFLEET_LINK_${place})
  endforeach()
  set(script "${CMAKE_CURRENT_BINARY_DIR}/${name}.ld")
  configure_file("${TINYFLEET_CORTEX_M}/link.ld.in" "${script}" @ONLY)
  set_target_properties(${name} PROPERTIES SUFFIX .elf LINK_DEPENDS "${script}")
  target_link_options(${name} PRIVATE "-Wl,-T,${script}" "-Wl,-Map,${CMAKE_CURRENT_BINARY_DIR}/${name}.map")
  add_custom_command(TARGET ${name} POST_BUILD COMMAND ${TINYFLEET_SIZE} $<TARGET_FILE:${name}>)
endfunction()

function(tf_link_memory ram ram_bytes noinit noinit_bytes)
  set_property(GLOBAL PROPERTY TINYFLEET_LINK_RAM ${ram})
  set_property(GLOBAL PROPERTY TINYFLEET_LINK_RAM_BYTES ${ram_bytes})
  set_property(GLOBAL PROPERTY TINYFLEET_LINK_NOINIT ${noinit})
  set_property(GLOBAL PROPERTY TINYFLEET_LINK_NOINIT_BYTES ${noinit_bytes})
endfunction()

# A bootloader for `kind` (ram or xip) of start at `origin`. The linker says when it does not fit.
function(tf_add_bootloader name kind origin bytes)
  set(boot ${TINYFLEET_ROOT}/firmware/boot)
  add_executable(
    ${name} ${boot}/main.c ${boot}/services.c ${TINYFLEET_CORTEX_M}/boot_vectors.c
            ${TINYFLEET_CORTEX_M}/boot_port.c ${TINYFLEET_CORTEX_M}/layout_${kind}.c)
  target_link_libraries(${name} PRIVATE tf_board tf_boot tf_wire bearssl tf_strict)
  tf_link_at(${name} ${origin} ${bytes} 8K "The bootloader: where the core starts.")
endfunction()
