# find_package(flagstore 0.2 CONFIG REQUIRED) gives two targets: flagstore::flagstore, the shared library, and
# flagstore::static. Everything is looked for from where this file stands: LIBDIR/cmake/flagstore, or
# PREFIX/share/cmake/flagstore, where cargo-c puts it.
get_filename_component(_flagstore_here "${CMAKE_CURRENT_LIST_DIR}" REALPATH)
unset(_flagstore_prefix)
foreach(_flagstore_up IN ITEMS ../../.. ../../../.. ../../../../..)
    if(NOT DEFINED _flagstore_prefix AND EXISTS "${_flagstore_here}/${_flagstore_up}/include/flagstore.h")
        get_filename_component(_flagstore_prefix "${_flagstore_here}/${_flagstore_up}" ABSOLUTE)
    endif()
endforeach()
unset(_flagstore_shared)
unset(_flagstore_static)
foreach(_flagstore_libdir IN ITEMS "${_flagstore_here}/../.."
        "${_flagstore_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" "${_flagstore_prefix}/lib64" "${_flagstore_prefix}/lib")
    get_filename_component(_flagstore_libdir "${_flagstore_libdir}" ABSOLUTE)
    if(NOT DEFINED _flagstore_shared AND EXISTS "${_flagstore_libdir}/libflagstore.so")
        set(_flagstore_shared "${_flagstore_libdir}/libflagstore.so")
    endif()
    if(NOT DEFINED _flagstore_static AND EXISTS "${_flagstore_libdir}/libflagstore.a")
        set(_flagstore_static "${_flagstore_libdir}/libflagstore.a")
    endif()
endforeach()

if(NOT DEFINED _flagstore_prefix OR NOT (DEFINED _flagstore_shared OR DEFINED _flagstore_static))
    set(flagstore_FOUND FALSE)
    set(flagstore_NOT_FOUND_MESSAGE "flagstore.h or libflagstore is missing around ${CMAKE_CURRENT_LIST_DIR}")
    return()
endif()

if(DEFINED _flagstore_static AND NOT TARGET flagstore::static)
    add_library(flagstore::static STATIC IMPORTED)
    set_target_properties(flagstore::static PROPERTIES
        IMPORTED_LOCATION "${_flagstore_static}"
        IMPORTED_LINK_INTERFACE_LANGUAGES C
        INTERFACE_INCLUDE_DIRECTORIES "${_flagstore_prefix}/include"
        INTERFACE_LINK_LIBRARIES "util;rt;pthread;m;dl")
endif()
if(NOT TARGET flagstore::flagstore)
    if(DEFINED _flagstore_shared)
        add_library(flagstore::flagstore SHARED IMPORTED)
        set_target_properties(flagstore::flagstore PROPERTIES
            IMPORTED_LOCATION "${_flagstore_shared}"
            INTERFACE_INCLUDE_DIRECTORIES "${_flagstore_prefix}/include")
    else()
        add_library(flagstore::flagstore INTERFACE IMPORTED)
        set_target_properties(flagstore::flagstore PROPERTIES INTERFACE_LINK_LIBRARIES flagstore::static)
    endif()
endif()
