package redisd

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"herosup/dispatch/actor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEmbeddedServesExpiresAndEnds(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "r.sock")
	// What a killed server leaves.
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, socket) }()
	c := redis.NewClient(&redis.Options{Network: "unix", Addr: socket, MaxRetries: 20, MinRetryBackoff: 5 * time.Millisecond, MaxRetryBackoff: 50 * time.Millisecond})
	if err := c.Set(t.Context(), "k", "v", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), socket); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second server: %v", err)
	}
	// A blocked pop ends when the key it waits beside has expired: no sleep.
	for c.Exists(t.Context(), "k").Val() == 1 {
		c.BLPop(t.Context(), time.Second, "nothing")
	}
	if st, err := os.Stat(socket); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v %v", st, err)
	}
	c.Close()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket file stayed: %v", err)
	}
}

func TestEmbeddedDoesNotReplaceAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.sock")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("%v", err)
	}
	if b, _ := os.ReadFile(file); string(b) != "mine" {
		t.Error("the file is gone")
	}
}

func TestChoose(t *testing.T) {
	only := func(names ...string) func(string) (string, error) {
		return func(n string) (string, error) {
			for _, have := range names {
				if n == have {
					return "/usr/bin/" + n, nil
				}
			}
			return "", errors.New("not found")
		}
	}
	base := Options{Socket: "/s/redis.sock", Dir: "/s/redis", Self: "/s/bin/herosup"}
	for _, c := range []struct {
		url  string
		path []string
		kind Kind
		exec string
	}{
		{"redis://h:6379/0", []string{"redis-server"}, Given, ""},
		{"", []string{"redis-server", "valkey-server"}, Server, "/usr/bin/redis-server"},
		{"", []string{"valkey-server"}, Server, "/usr/bin/valkey-server"},
		{"", nil, Embedded, "/s/bin/herosup"},
	} {
		o := base
		o.URL, o.LookPath = c.url, only(c.path...)
		got, err := Choose(o)
		if err != nil || got.Kind != c.kind || got.Means == "" {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
		if c.exec != "" && (got.Exec[0] != o.Self || got.Exec[5] != c.exec) {
			t.Errorf("%+v: runs %v", c, got.Exec)
		}
	}
}

func TestURLsAreCheckedAndPasswordsHidden(t *testing.T) {
	for _, bad := range []string{
		"redis+unix:///x", "redis://", "unix://", "localhost:6379", "redis://u:s3cret@%zz/0", "http://u:s3cret@h",
		"redis://h:1/0?password=s3cret", "redis://h:1/0?master_name=&password=s3cret", "redis://h?addr=nocolon&password=s3cret",
	} {
		err := CheckURL(bad)
		if err == nil {
			t.Errorf("%s was accepted", bad)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the password shows: %v", err)
		}
	}
	for _, good := range []string{
		"redis://h:1/0", "rediss://u:p@h", "unix:///s/redis.sock?db=2",
		"redis://s1:26379/1?master_name=m&addr=s2:26379&password=x", "redis://n1:1?addr=n2:1", "rediss://n1:1?cluster=true",
	} {
		if err := CheckURL(good); err != nil {
			t.Error(err)
		}
	}
	if p := Public("redis://u:s3cret@h:1/0"); strings.Contains(p, "s3cret") {
		t.Error(p)
	}
}

func TestPasswordTravelsBesideTheURL(t *testing.T) {
	for whole, want := range map[string][3]string{
		"redis://:s3cret@h:1/0":      {"redis://h:1/0", "s3cret"},
		"redis://me:s3cret@h:1/2":    {"redis://me@h:1/2", "s3cret"},
		"redis://h:1/0":              {"redis://h:1/0", ""},
		"redis://me@h":               {"redis://me@h", ""},
		"unix:///s/redis.sock?db=2":  {"unix:///s/redis.sock?db=2", ""},
		"unix://:s3cret@/redis.sock": {"unix:///redis.sock", "s3cret"},
		"redis://:watch@h:1/2?addr=g%3A1&master_name=m&password=s3cret": {"redis://h:1/2?addr=g%3A1&master_name=m", "s3cret", "watch"},
		"redis://h:1/2?master_name=m":                                   {"redis://h:1/2?master_name=m"},
	} {
		public, env := Split(whole)
		if public != want[0] || env[actor.PasswordEnv] != want[1] || env[actor.SentinelPasswordEnv] != want[2] {
			t.Errorf("%s: %q %q", whole, public, env)
		}
		if p := Public(whole); strings.Contains(p, "s3cret") || strings.Contains(p, "watch") {
			t.Errorf("a password shows: %s", p)
		}
	}
}
