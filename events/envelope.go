package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// envelope is a CloudEvents 1.0 event in the JSON format, structured mode
// (https://github.com/cloudevents/spec, v1.0.2). Extension attribute names are
// lower case without separators, as that text demands.
type envelope struct {
	SpecVersion     string          `json:"specversion"`
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	Type            string          `json:"type"`
	Time            time.Time       `json:"time"`
	Subject         string          `json:"subject,omitempty"`
	DataContentType string          `json:"datacontenttype,omitempty"`
	CausationID     string          `json:"causationid,omitempty"`
	CorrelationID   string          `json:"correlationid,omitempty"`
	Sequence        string          `json:"sequence,omitempty"`
	Data            json.RawMessage `json:"data,omitempty"`
}

const specVersion = "1.0"

// openEnvelope reads an envelope and checks what every one must have.
func openEnvelope(b []byte) (envelope, uint64, error) {
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return envelope{}, 0, fmt.Errorf("envelope: %w", err)
	}
	switch {
	case e.SpecVersion != specVersion:
		return envelope{}, 0, fmt.Errorf("envelope: specversion %q, want %q", e.SpecVersion, specVersion)
	case e.ID == "" || e.Source == "" || e.Type == "":
		return envelope{}, 0, errors.New("envelope: id, source and type are required")
	}
	if e.Sequence == "" {
		return e, 0, nil
	}
	n, err := strconv.ParseUint(e.Sequence, 10, 64)
	if err != nil {
		return envelope{}, 0, fmt.Errorf("envelope: sequence %q is no number", e.Sequence)
	}
	return e, n, nil
}

// isEnvelope tells an envelope from the bare JSON that a person may type as a
// command. Only an object with the member specversion is one.
func isEnvelope(b []byte) bool {
	if !bytes.Contains(b, []byte(`"specversion"`)) {
		return false
	}
	var probe struct {
		SpecVersion *string `json:"specversion"`
	}
	return json.Unmarshal(b, &probe) == nil && probe.SpecVersion != nil
}
