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
)

// Server is what CheckServer found out; unknown fields are empty (miniredis tells little).
type Server struct {
	Version    string
	Policy     string // maxmemory-policy
	AppendOnly string // yes, no
	Save       string
	Findings   []Finding
}

// minVersion is the oldest Redis that has all commands used (LMOVE, ZADD GT: 6.2).
var minVersion = [2]int{6, 2}

// CheckServer asks whether Redis answers and is fit: version, eviction, persistence. Only an unreachable or
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
