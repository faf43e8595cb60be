package events

import (
	"bytes"
	"encoding/json"
	"io"
)

// readBatch reads a batch that has no members but its own, as nearly all have; ok: it is one.
func readBatch(data []byte) (e JobBatch, ok bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(&e) != nil {
		return e, false
	}
	_, err := d.Token()
	return e, err == io.EOF
}

// misspelt says of which jobs of a batch, by place, JobCreate would be refused for a member that it does not have, and
// with what words.
func misspelt(data []byte) map[int]error {
	var have struct{ Jobs []json.RawMessage }
	_ = json.Unmarshal(data, &have) // it was read before
	faults := map[int]error{}
	for i, one := range have.Jobs {
		if err := KindOf(JobCreate{}).unknown(one); err != nil {
			faults[i] = err
		}
	}
	return faults
}
