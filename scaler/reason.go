package scaler

import (
	"fmt"
	"strings"
)

// reason is the decision in one line:
//
//	bash 0→3: 3 ready, 0 running, target 1 per actor; limited by nothing
//	bash 8 stays (wanted 12): 4 ready, 8 running, target 1 per actor; limited by max 8
func reason(d Decision, p Policy, why string) string {
	var b strings.Builder
	after := d.Have + len(d.Start) - len(d.Stop)
	if after == d.Have {
		fmt.Fprintf(&b, "%s %d stays", d.Pool, d.Have)
	} else {
		fmt.Fprintf(&b, "%s %d→%d", d.Pool, d.Have, after)
	}
	if d.Wanted != after {
		fmt.Fprintf(&b, " (wanted %d)", d.Wanted)
	}
	fmt.Fprintf(&b, ": %d ready, %d running, target %d per actor; limited by ", d.Ready, d.InFlight, p.TargetBacklog)
	switch d.Limiting {
	case None:
		b.WriteString("nothing")
	case RuleMin, RuleMax:
		b.WriteString(why) // "max 8" says its own name
	default:
		b.WriteString(d.Limiting + ": " + why)
	}
	return b.String()
}
