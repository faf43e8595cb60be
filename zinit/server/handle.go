package server

import (
	"encoding/json"
	"errors"
	"fmt"

	"herosup/zinit"
	"herosup/zinit/wire"
)

// maxBatch is how many calls one message may carry.
const maxBatch = 1000

// maxBatchResults is how long the results of a batch may be together: less than the
// longest message by what is around them.
const maxBatchResults = wire.MaxMessage - 1<<20

// handle works on one message: a call or a batch of them.
func (c *conn) handle(msg []byte) {
	if msg[0] != '[' {
		if r, after, ok := c.one(msg); ok {
			c.send(r)
			after()
		}
		return
	}
	batch, err := elements(msg, maxBatch)
	switch {
	case errors.Is(err, errTooMany):
		c.send(failure(nil, invalid(fmt.Sprintf("a batch of more than %d calls", maxBatch))))
		return
	case err != nil:
		c.send(failure(nil, parseError(err.Error())))
		return
	case len(batch) == 0:
		c.send(failure(nil, invalid("an empty batch")))
		return
	}
	var (
		answers []wire.Response
		afters  []func()
		size    int
	)
	for _, m := range batch {
		if r, after, ok := c.one(m); ok {
			if size += len(r.Result); size > maxBatchResults {
				r = failure(r.ID, errors.New("the answers to the batch are too long"))
			}
			answers = append(answers, r)
			afters = append(afters, after)
		}
	}
	if len(answers) > 0 {
		c.send(answers)
	}
	for _, after := range afters {
		after()
	}
}

// one works on one call. after is what begins once the answer is on its way. A
// notification has no answer, and is not even done: nobody could learn that it
// failed.
func (c *conn) one(msg []byte) (r wire.Response, after func(), answered bool) {
	nothing := func() {}
	var req wire.Request
	if err := json.Unmarshal(msg, &req); err != nil {
		if !json.Valid(msg) {
			return failure(nil, parseError(err.Error())), nothing, true
		}
		return failure(nil, invalid(err.Error())), nothing, true
	}
	if req.Version != wire.Version || req.Method == "" {
		return failure(req.ID, invalid(`want "jsonrpc":"2.0" and a method`)), nothing, true
	}
	if len(req.ID) == 0 {
		return wire.Response{}, nothing, false
	}
	after = nothing
	result, err := c.call(req, &after)
	var raw []byte
	if err == nil {
		raw, err = wire.Encode(result)
	}
	if err != nil {
		return failure(req.ID, err), nothing, true
	}
	return wire.Response{Version: wire.Version, ID: req.ID, Result: raw}, after, true
}

// call finds who does what is asked.
func (c *conn) call(req wire.Request, after *func()) (any, error) {
	e, ok := c.api.endpointOf(req.Method)
	if !ok {
		return nil, &zinit.Error{Code: zinit.MethodNotFound, Message: "Method not found"}
	}
	p, err := bind(e.params, req.Params)
	if err != nil {
		return nil, badParams(e.name, err.Error())
	}
	switch e.name {
	case subscribeLogs.name:
		id, begin, err := c.subs.add(p.text("filter"))
		*after = begin
		return id, err
	case unsubscribeLogs.name:
		return c.subs.remove(p["subscription"]), nil
	}
	return e.do(c.api, c.ctx, p)
}

// failure is the answer to a call that was refused or failed. id nil answers
// what could not be read that far.
func failure(id json.RawMessage, err error) wire.Response {
	if len(id) == 0 {
		id = json.RawMessage("null")
	}
	e, ok := errors.AsType[*zinit.Error](err)
	if !ok {
		e = &zinit.Error{Code: zinit.InternalError, Message: err.Error()}
	}
	w := &wire.Error{Code: int(e.Code), Message: e.Message}
	if e.Data != nil {
		w.Data, _ = json.Marshal(e.Data) // strings and a bool
	}
	return wire.Response{Version: wire.Version, ID: id, Error: w}
}

// idOf is the id that an answer carries, for the one that takes its place.
func idOf(v any) json.RawMessage {
	if r, ok := v.(wire.Response); ok {
		return r.ID
	}
	return nil
}

func parseError(text string) *zinit.Error {
	return &zinit.Error{Code: zinit.ParseError, Message: "Parse error: " + text}
}

func invalid(text string) *zinit.Error {
	return &zinit.Error{Code: zinit.InvalidRequest, Message: "Invalid request: " + text}
}
