package dispatch

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"

	"herosup/events"
)

// likeness is what a message must have in common with another one of its id to be the same job's.
func likeness(it item) [sha256.Size]byte {
	return sha256.Sum256([]byte(strings.ToLower(it.sub.Type) + "\x00" + it.sub.Script))
}

// over marks what a refill does not run: a message whose job is known to have ended, and a later one of the same job. Redis had told the second by the
// record of the first; both may be in the log when it is gone.
func (f *refill) over(it *item, ended bool) {
	if it.refusal != nil || it.twice {
		return
	}
	if ended {
		it.ended = true
		if f.ended == nil {
			f.ended = map[string][sha256.Size]byte{}
		}
		f.ended[it.sub.ID] = likeness(*it)
		return
	}
	was, known := f.ended[it.sub.ID]
	switch {
	case !known || it.sub.Again: // that one runs
	case was == likeness(*it):
		it.twice = true
	default:
		it.refusal = conflict(it.sub.ID, it.sub.Sequence)
	}
}

func conflict(id string, sequence uint64) *events.Refusal {
	return &events.Refusal{
		Status: http.StatusConflict, Code: "conflict", Job: id, Sequence: sequence,
		Reason: fmt.Sprintf("job id %s is taken by a job with another script or type", id), Hint: "choose another id; the same job again would be no fault",
	}
}
