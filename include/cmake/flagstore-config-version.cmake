# The version is that of the header. While MAJOR is 0, each minor version is an interface of its own.
get_filename_component(_flagstore_here "${CMAKE_CURRENT_LIST_DIR}" REALPATH)
foreach(_flagstore_up IN ITEMS ../../.. ../../../.. ../../../../..)
    set(_flagstore_header "${_flagstore_here}/${_flagstore_up}/include/flagstore.h")
    if(EXISTS "${_flagstore_header}")
        file(STRINGS "${_flagstore_header}" _flagstore_line REGEX "^#define FLAGSTORE_VERSION \"")
        string(REGEX REPLACE ".*\"(.*)\".*" "\\1" PACKAGE_VERSION "${_flagstore_line}")
        break()
    endif()
endforeach()

string(REGEX MATCH "^(0\\.)?[0-9]+" _flagstore_interface "${PACKAGE_VERSION}")
string(REGEX MATCH "^(0\\.)?[0-9]+" _flagstore_wanted "${PACKAGE_FIND_VERSION}")
set(PACKAGE_VERSION_COMPATIBLE FALSE)
if(PACKAGE_FIND_VERSION_RANGE)
    if(PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION_MIN AND
       (PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION_MAX OR
        (PACKAGE_FIND_VERSION_RANGE_MAX STREQUAL "INCLUDE" AND
         PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION_MAX)))
        set(PACKAGE_VERSION_COMPATIBLE TRUE)
    endif()
elseif(_flagstore_interface STREQUAL _flagstore_wanted AND PACKAGE_VERSION VERSION_GREATER_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
if(PACKAGE_VERSION VERSION_EQUAL PACKAGE_FIND_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
endif()
