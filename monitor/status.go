package monitor

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"herosup/events"
)

// Status is the whole picture as of now.
func (v *View) Status(now time.Time) Status {
	s := v.status
	s.Warnings = append([]Warning{}, s.Warnings...)
	s.Pools = v.Pools(now)
	s.Queues, s.Unserved = []Queue{}, []Unserved{}
	for _, script := range slices.Sorted(maps.Keys(v.queues)) {
		q := *v.queues[script]
		s.Queues = append(s.Queues, q)
		s.Backlog += q.Ready
		s.OldestWait = max(s.OldestWait, q.OldestWait)
	}
	for _, script := range slices.Sorted(maps.Keys(v.unserved)) {
		s.Unserved = append(s.Unserved, v.unserved[script])
	}
	s.Findings = v.findings(s)
	s.Well = len(s.Findings) == 0
	return s
}

// findings says in words what is not well.
func (v *View) findings(s Status) []string {
	var list []string
	for _, l := range []struct {
		name string
		Link
	}{{"redis is lost", s.Redis}, {"zinit is lost", s.Zinit}, {"the log of jobs takes nothing", s.Log}} {
		if l.State == LinkLost {
			list = append(list, fmt.Sprintf("%s since %s: %s", l.name, l.Since.Format(time.RFC3339), l.Reason))
		}
	}
	for _, f := range s.RedisFindings {
		list = append(list, f.Reason+": "+f.Hint)
	}
	for _, u := range s.Unserved {
		list = append(list, fmt.Sprintf("%d jobs of type %s wait: %s", u.Ready, u.Type, u.Reason))
	}
	for _, p := range s.Pools {
		if p.Degraded != "" {
			list = append(list, fmt.Sprintf("pool %s %s", p.Name, p.Degraded))
		}
	}
	for _, a := range v.Actors("") {
		if a.State == quarantined {
			list = append(list, fmt.Sprintf("actor %s is quarantined: %s", a.Name, a.Reason))
		}
		if a.NotRestarted != "" {
			list = append(list, fmt.Sprintf("actor %s was not restarted and works on as it was: %s", a.Name, a.NotRestarted))
		}
	}
	return list
}

// unknownPool refuses a name that is no pool's and none of an actor we know; ""
// means all.
func (v *View) unknownPool(name string) *events.Refusal {
	if name == "" || v.pools[name] != nil {
		return nil
	}
	for _, a := range v.actors {
		if a.Pool == name {
			return nil
		}
	}
	names := slices.Sorted(maps.Keys(v.pools))
	r := &events.Refusal{Status: 404, Code: "unknown_pool", Pool: name, Reason: fmt.Sprintf("pool %q is not configured", name)}
	switch near := events.Nearest(name, names); {
	case near != "":
		r.Hint = fmt.Sprintf("did you mean %q?", near)
	case len(names) > 0:
		r.Hint = "pools: " + strings.Join(names, ", ")
	}
	return r
}
