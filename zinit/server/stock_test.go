package server

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"herosup/events"

	"golang.org/x/sys/unix"
)

// What is taken from the stock is a pipe and a file as any other under its own name, and is made anew; what is left at the
// end goes, and what a killed server left, too.
func TestStock(t *testing.T) {
	dir := t.TempDir()
	spares := func() (n int) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), spareName) {
				n++
			}
		}
		return n
	}
	o, _, err := newOutputs(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := o.stock
	seven, eight := events.Incarnation{Boot: "51880f59", PID: 7, Start: 70}, events.Incarnation{Boot: "51880f59", PID: 8, Start: 80}
	rec := records{dir: dir, stock: s}
	if _, ok := s.pipe(source{path: filepath.Join(dir, "x")}); ok {
		t.Error("a pipe from an empty stock")
	}
	s.fill()
	if n := spares(); n != 2*stocked {
		t.Fatalf("%d in stock", n)
	}
	for range stocked + 1 { // the last is made on the spot
		p, err := o.newPipe(source{from: stderr, label: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(dir, p.fileName(o.last.Load())); p.path != want || p.label != "a" || p.from != stderr {
			t.Errorf("%+v, want %s", p, want)
		}
		if _, err := unix.Write(p.w, []byte("said\n")); err != nil {
			t.Error(err)
		}
		r, err := p.reopen() // as the next server would
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 10)
		if n, err := r.Read(got); err != nil || string(got[:n]) != "said\n" {
			t.Errorf("%s: %q %v", p.path, got[:n], err)
		}
		_ = r.Close()
		p.abandon()
	}
	if err := rec.write("a", seven); err != nil || rec.read("a") != seven {
		t.Errorf("%v, read %v", err, rec.read("a"))
	}
	if n := spares(); n != stocked-1 {
		t.Errorf("%d in stock after that, want the files but one", n)
	}
	if err := rec.write("a", eight); err != nil || rec.read("a") != eight || spares() != stocked-1 {
		t.Errorf("%v, read %v, %d in stock: a record that is there takes none", err, rec.read("a"), spares())
	}
	if left, _, err := leftOutputs(dir); err != nil || len(left) != 0 {
		t.Errorf("%v %v: a spare was taken for an output", left, err)
	}

	ctx, end := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.run(ctx) })
	for range stocked { // comes when it is made anew
		p := <-s.pipes
		p.abandon()
	}
	end()
	wg.Wait()
	if n := spares(); n != 0 {
		t.Errorf("%d left at the end", n)
	}
	s.fill()
	if _, _, err := newOutputs(dir); err != nil || spares() != 0 {
		t.Errorf("%v, %d left of a killed server", err, spares())
	}
	s.clear()
}
