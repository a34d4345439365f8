package maps

import "unsafe"

// Fields that change while packets read them are written together, by one store. These functions
// are the words that such fields make up.

// word64 returns the aligned 64-bit word that begins at a field.
func word64[T any](field *T) *uint64 {
	return (*uint64)(unsafe.Pointer(field))
}

// word32 returns the aligned 32-bit word that begins at a field.
func word32[T any](field *T) *uint32 {
	return (*uint32)(unsafe.Pointer(field))
}

// join64 makes the word of two neighbouring 32-bit fields.
func join64(first, second uint32) uint64 {
	return *word64(&struct {
		_      [0]uint64
		fields [2]uint32
	}{fields: [2]uint32{first, second}})
}

// split64 is the reverse of join64.
func split64(word uint64) (first, second uint32) {
	fields := (*[2]uint32)(unsafe.Pointer(&word))
	return fields[0], fields[1]
}

// join32 makes the word of two neighbouring 16-bit fields.
func join32(first, second uint16) uint32 {
	return *word32(&struct {
		_      [0]uint32
		fields [2]uint16
	}{fields: [2]uint16{first, second}})
}

// split32 is the reverse of join32.
func split32(word uint32) (first, second uint16) {
	fields := (*[2]uint16)(unsafe.Pointer(&word))
	return fields[0], fields[1]
}
