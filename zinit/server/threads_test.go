package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func threadsOfOurs(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// As many system calls as there are spare threads may hang at the same time without
// that the runtime asks the kernel for another one: where there is none to be had it
// would end the process.
func TestSpareThreads(t *testing.T) {
	const n = 100 // more than the tests before this one have left
	reserveThreads(n)
	before := threadsOfOurs(t)
	if before < n {
		t.Fatalf("there are %d threads, want %d and more", before, n)
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	var hanging sync.WaitGroup
	for range n - 20 {
		hanging.Go(func() {
			_, _ = unix.Read(fds[0], make([]byte, 1)) // a blocking one, which Go's poller does not know
		})
	}
	for inRead(t, fds[0]) < n-20 { // until all hang
	}
	if now := threadsOfOurs(t); now > before {
		t.Errorf("%d threads have become %d", before, now)
	}
	_ = unix.Close(fds[1])
	hanging.Wait()
	_ = unix.Close(fds[0])
}

// inRead is how many of our threads wait in read(2) of a descriptor.
func inRead(t *testing.T, fd int) (n int) {
	t.Helper()
	calls, err := filepath.Glob("/proc/self/task/*/syscall")
	if err != nil || len(calls) == 0 {
		t.Skipf("NO /proc/<pid>/syscall here (%v): whether threads hang can not be seen", err)
	}
	for _, c := range calls {
		b, err := os.ReadFile(c) // a thread may have ended meanwhile
		if err == nil && strings.HasPrefix(string(b), fmt.Sprintf("%d 0x%x ", unix.SYS_READ, fd)) {
			n++
		}
	}
	return n
}
