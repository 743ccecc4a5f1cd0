#define _GNU_SOURCE

#include "shims.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <sslsock.h>

#include "check.h"

#define MOST_EXPORTS 1024

const struct shim shims[] = {
    {"ssl_wce_accept", MINUS_ONE_POINTER, "sov"},
    {"ssl_wce_acquire_context_a", ZERO, "qhhii"},
    {"ssl_wce_acquire_context_w", ZERO, "qhhii"},
    {"ssl_wce_add_certificate_context_to_store", ZERO, "ggiq"},
    {"ssl_wce_add_encoded_certificate_to_store", ZERO, "gipNiq"},
    {"ssl_wce_bind", MINUS_ONE, "spn"},
    {"ssl_wce_change_case_narrow", NOTHING, "oNi"},
    {"ssl_wce_change_case_wide", NOTHING, "oWi"},
    {"ssl_wce_cleanup", MINUS_ONE, ""},
    {"ssl_wce_close_store", ZERO, "gi"},
    {"ssl_wce_closesocket", MINUS_ONE, "s"},
    {"ssl_wce_compare_certificate", ZERO, "iee"},
    {"ssl_wce_compare_certificate_name", ZERO, "iee"},
    {"ssl_wce_compare_file_time", ZERO, "qq"},
    {"ssl_wce_compare_string_a", ZERO, "iiznzn"},
    {"ssl_wce_compare_string_w", ZERO, "iiZwZw"},
    {"ssl_wce_compare_wide", MOST, "ZZi"},
    {"ssl_wce_connect", MINUS_ONE, "spn"},
    {"ssl_wce_crack_certificate", ZERO, "pNiq"},
    {"ssl_wce_create_certificate_context", NO_POINTER, "ipN"},
    {"ssl_wce_delete_certificate_from_store", ZERO, "g"},
    {"ssl_wce_duplicate_certificate_context", NO_POINTER, "g"},
    {"ssl_wce_enum_certificates_in_store", NO_POINTER, "gg"},
    {"ssl_wce_file_time_to_local_file_time", ZERO, "qq"},
    {"ssl_wce_file_time_to_system_time", ZERO, "qq"},
    {"ssl_wce_find_certificate_in_store", NO_POINTER, "giiieg"},
    {"ssl_wce_format_message_a", ZERO, "ihiiqbh"},
    {"ssl_wce_format_message_w", ZERO, "ihiiqbh"},
    {"ssl_wce_format_narrow", MINUS_ONE, "oNizfh"},
    {"ssl_wce_format_wide", MINUS_ONE, "oWiZfh"},
    {"ssl_wce_free_certificate", NOTHING, "h"},
    {"ssl_wce_free_certificate_chain", NOTHING, "g"},
    {"ssl_wce_free_certificate_context", ONE, "g"},
    {"ssl_wce_free_library", ZERO, "g"},
    {"ssl_wce_freeaddrinfo", NOTHING, "h"},
    {"ssl_wce_gai_strerror_a", NO_POINTER, "i"},
    {"ssl_wce_gai_strerror_w", NO_POINTER, "i"},
    {"ssl_wce_gen_random", ZERO, "imq"},
    {"ssl_wce_get_certificate_chain", ZERO, "hgqgeihq"},
    {"ssl_wce_get_certificate_context_property", ZERO, "giov"},
    {"ssl_wce_get_current_process_id", ZERO, ""},
    {"ssl_wce_get_current_thread_id", ZERO, ""},
    {"ssl_wce_get_issuer_certificate_from_store", NO_POINTER, "gggv"},
    {"ssl_wce_get_last_error", THE_ERROR, ""},
    {"ssl_wce_get_local_time", NOTHING, "q"},
    {"ssl_wce_get_module_handle_a", NO_POINTER, "z"},
    {"ssl_wce_get_module_handle_w", NO_POINTER, "Z"},
    {"ssl_wce_get_name_string_a", ONE, "giihoN"},
    {"ssl_wce_get_name_string_w", ONE, "giihoW"},
    {"ssl_wce_get_proc_address_a", NO_POINTER, "gz"},
    {"ssl_wce_get_proc_address_w", NO_POINTER, "gZ"},
    {"ssl_wce_get_system_time", NOTHING, "q"},
    {"ssl_wce_get_system_time_as_file_time", NOTHING, "q"},
    {"ssl_wce_get_tick_count", ZERO, ""},
    {"ssl_wce_get_time_zone_information", MINUS_ONE, "q"},
    {"ssl_wce_getaddrinfo", THE_ERROR, "dzqq"},
    {"ssl_wce_gethostbyaddr", NO_POINTER, "pni"},
    {"ssl_wce_gethostbyname", NO_POINTER, "d"},
    {"ssl_wce_gethostname", MINUS_ONE, "on"},
    {"ssl_wce_getnameinfo", THE_ERROR, "pnoNoNi"},
    {"ssl_wce_getpeername", MINUS_ONE, "sov"},
    {"ssl_wce_getprotobyname", NO_POINTER, "z"},
    {"ssl_wce_getprotobynumber", NO_POINTER, "i"},
    {"ssl_wce_getservbyname", NO_POINTER, "zz"},
    {"ssl_wce_getservbyport", NO_POINTER, "iz"},
    {"ssl_wce_getsockname", MINUS_ONE, "sov"},
    {"ssl_wce_getsockopt", MINUS_ONE, "siiov"},
    {"ssl_wce_inet_addr", MINUS_ONE, "z"},
    {"ssl_wce_inet_ntoa", NO_POINTER, "i"},
    {"ssl_wce_ioctlsocket", MINUS_ONE, "siv"},
    {"ssl_wce_ioctlsocket_long", MINUS_ONE, "siv"},
    {"ssl_wce_is_char", ZERO, "ii"},
    {"ssl_wce_listen", MINUS_ONE, "si"},
    {"ssl_wce_load_library_a", NO_POINTER, "z"},
    {"ssl_wce_load_library_ex_a", NO_POINTER, "zhi"},
    {"ssl_wce_load_library_ex_w", NO_POINTER, "Zhi"},
    {"ssl_wce_load_library_w", NO_POINTER, "Z"},
    {"ssl_wce_local_file_time_to_file_time", ZERO, "qq"},
    {"ssl_wce_message_box_a", ZERO, "hzzi"},
    {"ssl_wce_message_box_w", ZERO, "hZZi"},
    {"ssl_wce_multi_byte_to_wide_char", ZERO, "iiznow"},
    {"ssl_wce_name_to_str_a", ONE, "ieioN"},
    {"ssl_wce_name_to_str_w", ONE, "ieioW"},
    {"ssl_wce_open_store", NO_POINTER, "biiiZ"},
    {"ssl_wce_open_system_store_a", NO_POINTER, "iz"},
    {"ssl_wce_open_system_store_w", NO_POINTER, "iZ"},
    {"ssl_wce_output_debug_string_a", NOTHING, "z"},
    {"ssl_wce_output_debug_string_w", NOTHING, "Z"},
    {"ssl_wce_query_performance_counter", ZERO, "q"},
    {"ssl_wce_query_performance_frequency", ZERO, "q"},
    {"ssl_wce_recv", MINUS_ONE, "soni"},
    {"ssl_wce_recvfrom", MINUS_ONE, "soniov"},
    {"ssl_wce_release_context", ZERO, "ii"},
    {"ssl_wce_scan_narrow", MINUS_ONE, "oNzem"},
    {"ssl_wce_scan_wide", MINUS_ONE, "oWZem"},
    {"ssl_wce_select", MINUS_ONE, "iSSST"},
    {"ssl_wce_send", MINUS_ONE, "spni"},
    {"ssl_wce_sendto", MINUS_ONE, "spnipn"},
    {"ssl_wce_set_last_error", NOTHING, "i"},
    {"ssl_wce_setsockopt", MINUS_ONE, "siipn"},
    {"ssl_wce_shutdown", MINUS_ONE, "si"},
    {"ssl_wce_sleep", NOTHING, "m"},
    {"ssl_wce_socket", MINUS_ONE_POINTER, "iii"},
    {"ssl_wce_startup", THE_ERROR, "iq"},
    {"ssl_wce_system_time_to_file_time", ZERO, "qq"},
    {"ssl_wce_verify_certificate_chain_policy", ZERO, "bgee"},
    {"ssl_wce_verify_time_validity", MINUS_ONE, "qe"},
    {"ssl_wce_wide_char_to_multi_byte", ZERO, "iiZwonzv"},
    {"ssl_wce_wide_of", ZERO, "i"},
    {"ssl_wce_wsa_ioctl", MINUS_ONE, "sipNoNvqh"},
    {"ssl_wce_wsa_recv", MINUS_ONE, "sqivvhh"},
    {"ssl_wce_wsa_send", MINUS_ONE, "sqivihh"},
    {"ssl_wce_wsa_socket", MINUS_ONE_POINTER, "iiiqii"},
    {NULL, NOTHING, NULL},
};

const struct shim *find_shim(const char *name)
{
    for (const struct shim *shim = shims; shim->name != NULL; shim++) {
        if (strcmp(shim->name, name) == 0) {
            return shim;
        }
    }
    return NULL;
}

intptr_t call_shim(const struct shim *shim, const intptr_t *a)
{
    /* Numbers and pointers are passed alike, and more of them than there are do no harm, on the processors that we test on. */
    typedef intptr_t (*any)(intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t, intptr_t,
                            intptr_t, intptr_t, intptr_t);
    void *found = dlsym(RTLD_DEFAULT, shim->name);
    any function;

    if (found == NULL) {
        FAIL("the library has no %s", shim->name);
    }
    memcpy(&function, &found, sizeof function);
    return function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11]);
}

int has_failed(const struct shim *shim, intptr_t answer)
{
    switch (shim->failed) {
    case ZERO:
        return (int32_t)answer == 0;
    case NO_POINTER:
        return answer == 0;
    case MINUS_ONE:
        return (int32_t)answer == -1;
    case MINUS_ONE_POINTER:
        return answer == -1;
    case ONE:
        return (int32_t)answer == 1;
    case MOST:
        return (int32_t)answer == INT32_MAX;
    case THE_ERROR:
        return (int32_t)answer != 0;
    default:
        return 1;
    }
}

const struct way *exported_names(void)
{
    static struct way names[MOST_EXPORTS + 1];
    Dl_info library;
    char command[4200];
    char line[256];
    size_t count = 0;
    FILE *listing;

    CHECK(dladdr((void *)(uintptr_t)&ssl_abi_version, &library) != 0);
    snprintf(command, sizeof command, "nm -D --defined-only '%s'", library.dli_fname);
    listing = popen(command, "r");
    CHECK(listing != NULL);
    while (fgets(line, sizeof line, listing) != NULL) {
        char name[256];
        if (sscanf(line, "%*s %*s %255s", name) == 1 && strcmp(name, "ssl_test_panic_in") != 0) {
            CHECK(count < MOST_EXPORTS);
            names[count++].name = strdup(name);
        }
    }
    CHECK(pclose(listing) == 0 && count > 0);
    return names;
}
