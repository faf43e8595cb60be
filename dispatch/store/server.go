package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Finding is something about the server that users should know.
type Finding struct {
	Code string // stable: see below
	Bad  bool   // false: a warning
	Text string
	Hint string
}

// The codes of findings.
const (
	FindingVersion     = "version"
	FindingEviction    = "eviction"
	FindingPersistence = "persistence"
	FindingClock       = "clock"
)

// Server is what CheckServer found out; unknown fields are empty (miniredis tells little).
type Server struct {
	Version    string
	Policy     string // maxmemory-policy
	AppendOnly string // yes, no
	Save       string
	Ahead      time.Duration // its clock, of this machine's; as good as a round trip is short
	Findings   []Finding
}

// minVersion is the oldest Redis that has all commands used (LMOVE, ZADD GT: 6.2).
var minVersion = [2]int{6, 2}

// clockSlack is by how much Redis' clock and this machine's may differ before that is worth a word.
const clockSlack = 5 * time.Second

// CheckServer asks whether Redis answers and is fit: version, eviction, persistence, clock. Only an unreachable or
// refusing server is an error.
func (s *Store) CheckServer(ctx context.Context) (Server, error) {
	node, err := s.node(ctx)
	if err == nil {
		err = node.Ping(ctx).Err()
	}
	if err != nil {
		return Server{}, s.fault(ctx, err, nil)
	}
	var srv Server
	info, err := node.Info(ctx, "server").Result()
	if err != nil && !isAnswer(err) { // an answer: does not tell, as miniredis or by ACL
		return Server{}, s.fault(ctx, err, nil)
	}
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "redis_version:"); ok {
			srv.Version = v
		}
	}
	for name, to := range map[string]*string{
		"maxmemory-policy": &srv.Policy, "appendonly": &srv.AppendOnly, "save": &srv.Save,
	} {
		m, err := node.ConfigGet(ctx, name).Result()
		if err != nil && !isAnswer(err) {
			return Server{}, s.fault(ctx, err, nil)
		}
		*to = m[name]
	}
	asked := time.Now()
	clock, err := node.Time(ctx).Result()
	if err != nil && !isAnswer(err) {
		return Server{}, s.fault(ctx, err, nil)
	}
	if trip := time.Since(asked); err == nil && trip < clockSlack/2 {
		srv.Ahead = clock.Sub(asked.Add(trip / 2))
	}
	srv.Findings = srv.judge()
	return srv, nil
}

// judge is pure: what the figures mean. What is not known is not judged.
func (srv Server) judge() []Finding {
	var out []Finding
	var major, minor int
	if n, _ := fmt.Sscanf(srv.Version, "%d.%d", &major, &minor); n == 2 &&
		(major < minVersion[0] || major == minVersion[0] && minor < minVersion[1]) {
		out = append(out, Finding{
			Code: FindingVersion, Bad: true, Text: fmt.Sprintf("redis %s is older than %d.%d", srv.Version, minVersion[0], minVersion[1]),
			Hint: "install a newer redis or valkey",
		})
	}
	if srv.Policy != "" && srv.Policy != "noeviction" {
		out = append(out, Finding{
			Code: FindingEviction, Bad: true, Text: "maxmemory-policy is " + srv.Policy + ": redis may throw jobs away when it is full",
			Hint: "CONFIG SET maxmemory-policy noeviction",
		})
	}
	if by := srv.Ahead.Abs(); by > clockSlack {
		way, off := "ahead of", "early"
		if srv.Ahead < 0 {
			way, off = "behind", "late"
		}
		if by > time.Minute {
			by = by.Round(time.Minute) // a word, and the same tomorrow
		}
		out = append(out, Finding{
			Code: FindingClock, Bad: true,
			Text: fmt.Sprintf("redis' clock is %s %s this machine's: delayed jobs begin, and start-by times pass, that much too %s", by.Round(time.Second), way, off),
			Hint: "set both clocks (NTP)",
		})
	}
	if srv.AppendOnly == "no" {
		text, hint := "redis keeps nothing on disk", "CONFIG SET appendonly yes"
		if srv.Save != "" {
			text = "redis saves snapshots only"
		}
		text += ": after a restart accepted jobs come back from the log; results not fetched and what others pushed a moment before do not"
		out = append(out, Finding{Code: FindingPersistence, Text: text, Hint: hint})
	}
	return out
}

// Now is the time by Redis' clock, the one that records are written by.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	t, err := s.rdb.Time(ctx).Result()
	return t.UTC(), s.fault(ctx, err, nil)
}
