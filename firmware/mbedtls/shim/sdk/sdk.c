/* What the Ameba SDKs' copies of mbedTLS call in the SDK. */
#include <stddef.h>

/* mbedtls_platform_set_calloc_free hands the allocator on to the library in the chip's ROM, and starts
 * the crypto engine. Neither is used here. */
void platform_set_malloc_free(void *(*calloc_function)(size_t, size_t), void (*free_function)(void *))
{
    (void) calloc_function;
    (void) free_function;
}
