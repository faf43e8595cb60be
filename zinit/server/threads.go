package server

import (
	"runtime"
	"sync"
)

// The Go runtime ends a process that needs one more thread and gets none, and it needs
// one whenever a system call takes its time. A service that forks up to the limit of
// processes (RLIMIT_NPROC, pids.max), of which threads are a part, would so end its
// own manager. Threads that the runtime has once made it keeps, so we have it make
// some while there is room.

// spareThreads is how many there are beside those that run: of our goroutines few are
// in a system call at the same time.
const spareThreads = 32

// reserveThreads has the runtime make those that are missing.
func reserveThreads(n int) {
	var held, left sync.WaitGroup
	held.Add(n)
	release := make(chan struct{})
	for range n {
		left.Go(func() {
			runtime.LockOSThread() // nobody else runs on it while we wait
			defer runtime.UnlockOSThread()
			held.Done()
			<-release
		})
	}
	held.Wait()
	close(release)
	left.Wait()
}
