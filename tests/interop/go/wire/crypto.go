// Package wire seals and opens the browser redirects between FIUs and AAs with only Go's standard library: both
// schemes, the mask, the members and the parameters. It writes the format as the documents have it, and reads only
// that. It repairs no deviations.
package wire

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/pbkdf2"
	"crypto/sha256"
	"errors"
	"fmt"
)

// Scheme says how a pairing derives its keys and where its IVs come from.
type Scheme int

const (
	// HKDFIV derives with HKDF-SHA256 and sends a random IV in the parameter `iv`.
	HKDFIV Scheme = iota + 1
	// PBKDF2 derives with PBKDF2-HMAC-SHA256; its IV is 16 zero bytes and not sent.
	PBKDF2
)

const (
	keyLength    = 32
	pbkdf2Rounds = 65_536
)

// errUndecipherable is the only error of Open. An error that names the failed step would make a padding oracle.
var errUndecipherable = errors.New("undecipherable")

// DeriveKey is HKDF(secret, salt = date, no info) or PBKDF2(secret, salt = date, 65,536 rounds). The date is salt as it was
// received, character by character.
func DeriveKey(scheme Scheme, secret, date string) ([]byte, error) {
	switch scheme {
	case HKDFIV:
		return hkdf.Key(sha256.New, []byte(secret), []byte(date), "", keyLength)
	case PBKDF2:
		return pbkdf2.Key(sha256.New, secret, []byte(date), pbkdf2Rounds, keyLength)
	default:
		return nil, fmt.Errorf("no scheme: %d", scheme)
	}
}

// Encrypt is AES-256-CBC with PKCS#7 padding.
func Encrypt(key, iv, plaintext []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	padding := aes.BlockSize - len(plaintext)%aes.BlockSize
	text := make([]byte, len(plaintext)+padding)
	copy(text, plaintext)
	for i := len(plaintext); i < len(text); i++ {
		text[i] = byte(padding)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return text, nil
}

// Decrypt undoes Encrypt.
func Decrypt(key, iv, ciphertext []byte) ([]byte, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	if len(ciphertext) == 0 || len(ciphertext)%aes.BlockSize != 0 {
		return nil, errUndecipherable
	}
	text := make([]byte, len(ciphertext))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, ciphertext)
	padding := int(text[len(text)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, errUndecipherable
	}
	length := len(text) - padding
	for _, b := range text[length:] {
		if int(b) != padding {
			return nil, errUndecipherable
		}
	}
	return text[:length], nil
}

// Mask is value XOR date, the date repeated; it is its own inverse.
func Mask(value, date string) string {
	masked := []byte(value)
	for i := range masked {
		masked[i] ^= date[i%len(date)]
	}
	return string(masked)
}
