package store

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
)

// A page of many records is read to its end on the embedded server, over a unix
// socket as in use: in one pipeline its answers and our commands would wait for
// each other.
func TestManyRecordsAreReadToTheEnd(t *testing.T) {
	dir, err := os.MkdirTemp("", "mr") // not t.TempDir: a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	m := miniredis.NewMiniRedis()
	c, err := m.Dial()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	l, err := net.Listen("unix", filepath.Join(dir, "r.sock"))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			m.Server().ServeConn(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done; m.Close() })
	s, err := Open(Options{URL: "unix://" + l.Addr().String()}, discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	const n = 1500
	var ids []string
	for i := range n {
		id := fmt.Sprintf("job-%04d", i)
		ids = append(ids, id)
		if err := s.rdb.HSet(t.Context(), s.keys.job(id).name, "id", id, "status", "finished", "caller_id", strings.Repeat("x", 1000)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.records(t.Context(), ids)
	if err != nil || len(got) != n {
		t.Errorf("%d records, %v; want %d", len(got), err, n)
	}
}
