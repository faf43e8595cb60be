package server

import (
	"bytes"
	"encoding/json"
	"errors"
)

// What a client sends is taken apart one by one, and no further than it may be long:
// as a whole, ten mebibytes of numbers become half a gibibyte of slices.

// errTooMany says that an array is longer than it may be.
var errTooMany = errors.New("too many elements")

// elements are those of a JSON array, at most as many as said.
func elements(array []byte, most int) ([]json.RawMessage, error) {
	if !json.Valid(array) {
		return nil, errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(array))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var all []json.RawMessage
	for d.More() {
		if len(all) == most {
			return nil, errTooMany
		}
		var e json.RawMessage
		if err := d.Decode(&e); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// members puts those of a JSON object that are wanted into got.
func members(object []byte, want []param, got params) error {
	if !json.Valid(object) {
		return errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(object))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return err
		}
		for _, w := range want {
			if name == w.name {
				got[w.name] = v
			}
		}
	}
	return nil
}
