package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// screen shows the actors: a table that is drawn anew on a terminal, a line per
// change elsewhere.
type screen struct {
	w     io.Writer
	live  bool
	start time.Time
	pools []string
	drawn int
	last  string
}

// say prints one line of the story.
func (s *screen) say(format string, v ...any) {
	s.wipe()
	fmt.Fprintf(s.w, "%6.2fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, v...))
}

func (s *screen) wipe() {
	if s.drawn > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", s.drawn)
		s.drawn = 0
	}
}

// letters stand for the states in the table.
var letters = map[string]string{
	"starting": "s", "running": "R", "idle": "i", "pinging": "p", "failed": "!", "restarting": "r",
	"draining": "d", "recycling": "c", "stopping": "x", "quarantined": "Q", "stopped": ".",
}

func (s *screen) draw(t *tally) {
	var lines []string
	var counts []string
	for _, p := range s.pools {
		var names []string
		for a := range t.actors {
			if poolOf(a) == p {
				names = append(names, a)
			}
		}
		slices.Sort(names)
		row := ""
		for _, n := range names {
			row += letters[t.actors[n]]
		}
		lines = append(lines, fmt.Sprintf("         %-8s %-8s %d up", p, row, t.up(p)))
		counts = append(counts, fmt.Sprintf("%s %d", p, t.up(p)))
	}
	if s.live {
		s.wipe()
		lines = append(lines, fmt.Sprintf("         jobs: %d of %d ended   (R running, i idle, s starting, d draining, . stopped)", len(t.ended), len(t.submitted)))
		fmt.Fprintln(s.w, strings.Join(lines, "\n"))
		s.drawn = len(lines)
		return
	}
	if now := strings.Join(counts, ", "); now != s.last {
		s.last = now
		s.say("actors: %s; %d of %d jobs ended", now, len(t.ended), len(t.submitted))
	}
}
