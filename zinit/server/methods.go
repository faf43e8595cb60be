package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// endpoint is one method: how it is called, and who does it.
type endpoint struct {
	name   string
	about  string
	params []param
	result string // a JSON schema type
	do     func(*api, context.Context, params) (any, error)
}

// param is a parameter in its place.
type param struct {
	name     string
	kind     string // a JSON schema type
	optional bool
}

var (
	nameParam = param{name: "name", kind: "string"}
	logParam  = param{name: "name", kind: "string", optional: true}
)

// Log subscriptions belong to a connection, not to the api.
var (
	subscribeLogs = endpoint{
		"stream_subscribeLogs", "The lines from now on, of one service or of all, each as a message.",
		[]param{{name: "filter", kind: "string", optional: true}},
		"integer", nil,
	}
	unsubscribeLogs = endpoint{
		"stream_unsubscribeLogs", "Ends a subscription.",
		[]param{{name: "subscription", kind: "integer"}},
		"boolean", nil,
	}
)

// endpoints are the methods of research/zinit.md 3.2.
func endpoints() []endpoint {
	return []endpoint{
		{"rpc.discover", "This document.", nil, "string", (*api).discover},
		{"service_list", "The state of every monitored service.", nil, "object", (*api).list},
		{"service_status", "What is known of a service.", []param{nameParam}, "object", (*api).status},
		{"service_start", "Sets the target Up.", []param{nameParam}, "null", (*api).start},
		{"service_stop", "Sets the target Down, ends the process and answers when nothing of it is left.", []param{nameParam}, "null", (*api).stop},
		{"service_monitor", "Loads a service file and starts the service.", []param{nameParam}, "null", (*api).monitor},
		{"service_forget", "Gives up a stopped service.", []param{nameParam}, "null", (*api).forget},
		{"service_kill", "Signals the process group of a service.", []param{nameParam, {name: "signal", kind: "string"}}, "null", (*api).kill},
		{"service_create", "Writes a service file.", []param{nameParam, {name: "content", kind: "object"}}, "string", (*api).create},
		{"service_delete", "Removes a service file.", []param{nameParam}, "string", (*api).remove},
		{"service_get", "The content of a service file.", []param{nameParam}, "object", (*api).get},
		{"service_stats", "Memory and CPU of a service and its descendants.", []param{nameParam}, "object", (*api).stats},
		{"system_shutdown", "Stops all services and ends the server.", nil, "null", (*api).shutdown},
		{"system_reboot", "As system_shutdown; a server that is a machine's first process starts it anew.", nil, "null", (*api).reboot},
		{"system_start_http_server", "Refused: there is no HTTP door.", []param{{name: "address", kind: "string"}}, "string", (*api).noHTTP},
		{"system_stop_http_server", "Refused: there is no HTTP door.", nil, "null", (*api).noHTTP},
		{"stream_currentLogs", "The lines that the ring holds, of one service or of all.", []param{logParam}, "array", (*api).currentLogs},
		subscribeLogs,
		unsubscribeLogs,
	}
}

// endpointOf finds a method by its name.
func (a *api) endpointOf(name string) (endpoint, bool) {
	for _, e := range a.methods {
		if e.name == name {
			return e, true
		}
	}
	return endpoint{}, false
}

// params are the parameters of a call by name.
type params map[string]json.RawMessage

// text is a parameter that is a string; "" if it is not there.
func (p params) text(name string) string {
	var s string
	_ = json.Unmarshal(p[name], &s) // its type was checked
	return s
}

// bind puts what a call carries, in order or by name, to the names of want.
func bind(want []param, raw json.RawMessage) (params, error) {
	got := make(params)
	raw = bytes.TrimSpace(raw)
	switch {
	case len(raw) == 0 || string(raw) == "null":
	case raw[0] == '[':
		list, err := elements(raw, len(want))
		if errors.Is(err, errTooMany) {
			return nil, fmt.Errorf("got more than %d parameters", len(want))
		}
		if err != nil {
			return nil, err
		}
		for i, v := range list {
			got[want[i].name] = v
		}
	case raw[0] == '{':
		if err := members(raw, want, got); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("params: got %.20q, want an array or an object", raw)
	}
	for _, w := range want {
		v, ok := got[w.name]
		switch {
		case !ok || string(v) == "null":
			if !w.optional {
				return nil, fmt.Errorf("parameter %s is missing", w.name)
			}
		case w.kind == "string" && v[0] != '"', w.kind == "object" && v[0] != '{':
			return nil, fmt.Errorf("parameter %s: want a JSON %s", w.name, w.kind)
		}
	}
	return got, nil
}
