/* Stands in for a header of the Ameba SDKs that their config.h includes: there it puts functions of
 * the chip's ROM in the C library's place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
