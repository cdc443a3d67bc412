# BearSSL: SHA-256, ECDSA P-256. A build input fetched by `make setup`, never committed.
if(NOT EXISTS "${TINYFLEET_BEARSSL}/inc/bearssl.h")
  message(FATAL_ERROR "no BearSSL in ${TINYFLEET_BEARSSL}: run `make setup`, or pass -DTINYFLEET_BEARSSL=<folder>")
endif()
if(TINYFLEET_BOARD MATCHES "^(microbit|bench-.*)$")
  # Their images are not signed: digests are all they need.
  file(GLOB bearssl_sources "${TINYFLEET_BEARSSL}/src/hash/*.c" "${TINYFLEET_BEARSSL}/src/codec/*.c")
else()
  file(GLOB_RECURSE bearssl_sources "${TINYFLEET_BEARSSL}/src/*.c")
endif()
if(NOT TINYFLEET_BOARD STREQUAL "host")
  # What no build of ours links, most of the files: the one suite has neither RSA nor AES.
  list(FILTER bearssl_sources EXCLUDE REGEX "/src/(aead|kdf|rsa|symcipher/(aes|des))")
  if(NOT TINYFLEET_TLS)
    list(FILTER bearssl_sources EXCLUDE REGEX "/src/(ssl|symcipher|x509)/")
  endif()
endif()
add_library(bearssl STATIC ${bearssl_sources})
target_include_directories(bearssl SYSTEM PUBLIC "${TINYFLEET_BEARSSL}/inc" PRIVATE "${TINYFLEET_BEARSSL}/src")
# No OS below a node: randomness and time are handed in.
target_compile_definitions(bearssl PRIVATE BR_USE_URANDOM=0 BR_USE_GETENTROPY=0 BR_USE_UNIX_TIME=0)
target_compile_options(bearssl PRIVATE -w)
if(NOT CMAKE_CROSSCOMPILING)
  # Off its word's bounds an access is undefined in C, whatever the machine makes of it: the sanitizers end there.
  target_compile_definitions(bearssl PRIVATE BR_LE_UNALIGNED=0)
endif()
if(TINYFLEET_BOARD STREQUAL "host")
  # Digests are two thirds of what the power-cut tests take. Callers' bytes reach these two by memcpy, which is watched.
  set_source_files_properties(
    "${TINYFLEET_BEARSSL}/src/hash/sha2small.c" "${TINYFLEET_BEARSSL}/src/codec/dec32be.c"
    PROPERTIES COMPILE_OPTIONS "-O2;-fno-sanitize=all")
endif()
