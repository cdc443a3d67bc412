# What a firmware says of itself to whoever signs it (facts.c); a link script keeps it at 0x100.
# Bits of CoreVariant: every build runs portable plans.
set(cores_of_portable 1)
set(cores_of_dsp 3)
set(cores_of_mve 5)
set(facts_source ${CMAKE_CURRENT_LIST_DIR}/facts.c)
set(facts_runtime ${CMAKE_CURRENT_LIST_DIR}/../runtime)

function(tf_add_facts name device_type)
  target_sources(${name} PRIVATE ${facts_source})
  target_compile_definitions(
    ${name}
    PRIVATE TINYFLEET_DEVICE_TYPE="${device_type}"
            TINYFLEET_CORES=${cores_of_${TINYFLEET_CORE}}
            TINYFLEET_VERSION_MAJOR=${PROJECT_VERSION_MAJOR}
            TINYFLEET_VERSION_MINOR=${PROJECT_VERSION_MINOR}
            TINYFLEET_VERSION_PATCH=${PROJECT_VERSION_PATCH})
  target_include_directories(${name} PRIVATE ${facts_runtime}) # it tells which kernels there are
endfunction()
