package wire

import (
	"bytes"
	"encoding/json"
)

// Version is the value of the "jsonrpc" member. Detecting clients look for the
// substring "jsonrpc":"2.0", so messages are compact JSON.
const Version = "2.0"

// Request is a call, or a notification when ID is absent.
type Request struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// Response is an answer. Exactly one of Result and Error is set; a call with
// nothing to say has the Result null.
type Response struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

// Error is the error member of a Response.
type Error struct {
	Code    int             `json:"code"`
	Message string          `json:"message"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Item is one message of a subscription.
type Item struct {
	Version string     `json:"jsonrpc"`
	Method  string     `json:"method"`
	Params  ItemParams `json:"params"`
}

// ItemParams names the subscription that an Item belongs to.
type ItemParams struct {
	Subscription uint64          `json:"subscription"`
	Result       json.RawMessage `json:"result"`
}

// Encode is v as compact JSON with a newline behind it. Characters that only
// matter inside HTML stay as they are: log lines are full of them.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
