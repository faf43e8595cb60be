package server

import "herosup/zinit"

// openRPC describes the methods, from the table that serves them.
func openRPC(endpoints []endpoint) any {
	type schema struct {
		Type string `json:"type"`
	}
	type described struct {
		Name     string `json:"name"`
		Required bool   `json:"required,omitempty"`
		Schema   schema `json:"schema"`
	}
	type method struct {
		Name    string      `json:"name"`
		Summary string      `json:"summary"`
		Params  []described `json:"params"`
		Result  described   `json:"result"`
	}
	methods := make([]method, 0, len(endpoints))
	for _, e := range endpoints {
		m := method{
			Name: e.name, Summary: e.about, Params: []described{},
			Result: described{Name: "result", Schema: schema{e.result}},
		}
		for _, p := range e.params {
			m.Params = append(m.Params, described{p.name, !p.optional, schema{p.kind}})
		}
		methods = append(methods, m)
	}
	return struct {
		OpenRPC string            `json:"openrpc"`
		Info    map[string]string `json:"info"`
		Methods []method          `json:"methods"`
	}{
		OpenRPC: "1.2.6",
		Info:    map[string]string{"title": zinit.Title, "version": "1.0.0"},
		Methods: methods,
	}
}
