/* Stands in for a header of the Ameba SDKs that their copies of mbedTLS include: there a table of
 * functions, some of them in the chip's ROM, that drive the crypto engine.
 *
 * Here the table says that there is no engine. The SDK's copy then computes AES and DES in software,
 * the same bytes, and the compiler leaves out what would have called the engine. (SUPPORT_HW_SW_CRYPTO
 * has to be defined: without it the SDK's copy has no such software at all.)
 */
#ifndef RIG_ROM_SSL_RAM_MAP_H
#define RIG_ROM_SSL_RAM_MAP_H

/* Never called, so that one type does for all. */
typedef int rig_no_engine(const void *first, ...);

static const struct {
    int use_hw_crypto_func;
    rig_no_engine *hw_crypto_aes_ecb_init, *hw_crypto_aes_ecb_encrypt, *hw_crypto_aes_ecb_decrypt;
    rig_no_engine *hw_crypto_aes_cbc_init, *hw_crypto_aes_cbc_encrypt, *hw_crypto_aes_cbc_decrypt;
    rig_no_engine *hw_crypto_des_cbc_init, *hw_crypto_des_cbc_encrypt, *hw_crypto_des_cbc_decrypt;
    rig_no_engine *hw_crypto_3des_cbc_init, *hw_crypto_3des_cbc_encrypt, *hw_crypto_3des_cbc_decrypt;
} rom_ssl_ram_map = {0};

#endif
