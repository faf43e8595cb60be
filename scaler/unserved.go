package scaler

import (
	"fmt"
	"strings"

	"herosup/events"
)

// Unserved returns what to say about a type whose jobs wait for an actor that
// will not come; false when there is nothing (new) to say.
func (v *View) unserved(script string) (events.QueueUnserved, bool) {
	q := v.queues[script]
	if q == nil {
		return events.QueueUnserved{}, false
	}
	names := v.byType[script]
	for _, name := range names {
		if v.pools[name].Policy.Max > 0 {
			return events.QueueUnserved{}, false
		}
	}
	if !q.unserved() {
		return events.QueueUnserved{}, false
	}
	why := fmt.Sprintf("no pool runs jobs of type %s", script)
	if len(names) > 0 {
		why = fmt.Sprintf("max is 0 in pool %s", strings.Join(names, ", "))
	}
	return events.QueueUnserved{Type: script, Ready: q.ready, Reason: why}, true
}

// typeOf is the script type whose queue a fact is about; "" for other facts.
func typeOf(e events.Event) string {
	switch e := e.(type) {
	case events.JobQueued:
		return e.Type
	case events.JobRetried:
		return e.Type
	case events.JobCancelled:
		return e.Type
	case events.QueueMeasured:
		return e.Type
	}
	return ""
}
