package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// The disk may lie, and the database keeps no checksum of values: each begins with that of its JSON.
const sumLen = len("00000000 ")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func seal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s", crc32.Checksum(body, castagnoli), body), nil
}

func unseal(data []byte, v any) error {
	body, err := checked(data)
	if err != nil {
		return err
	}
	return strict(body, v)
}

func checked(data []byte) ([]byte, error) {
	if len(data) < sumLen {
		return nil, errors.New("no record")
	}
	body := data[sumLen:]
	if want := fmt.Sprintf("%08x ", crc32.Checksum(body, castagnoli)); want != string(data[:sumLen]) {
		return nil, errors.New("checksum differs")
	}
	return body, nil
}

func strict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
