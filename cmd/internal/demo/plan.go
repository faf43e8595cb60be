package demo

import (
	"fmt"
	"time"
)

// job is one submission of the plan.
type job struct {
	id, scriptType, script string
}

// plan is what is submitted, in order: quick jobs with some slow ones between
// them, over all types there are. It is the same in each run.
func plan(types []string) []job {
	share := map[string]int{"bash": 200, "python": 16, GoType: 140}
	var jobs []job
	for n := 0; ; n++ {
		before := len(jobs)
		for _, t := range types {
			if n < share[t] {
				jobs = append(jobs, job{id: fmt.Sprintf("demo-%s-%d", t, n), scriptType: t, script: script(t, n)})
			}
		}
		if len(jobs) == before {
			return jobs
		}
	}
}

func script(t string, n int) string {
	slow := n%20 == 7
	switch t {
	case "bash":
		if slow {
			return "sleep 0.3; echo slow $HERO_JOB_ID"
		}
		return "echo done $HERO_JOB_ID"
	case "python":
		if slow {
			return "import time; time.sleep(0.2); print('slow')"
		}
		return fmt.Sprintf("print(%d * %d)", n, n)
	}
	if slow {
		return "300ms"
	}
	return "1ms"
}

// The job whose actor is killed, and how long it would run.
const (
	victimID     = "demo-victim"
	victimScript = "sleep 1.5; echo survived $HERO_ATTEMPT"
	victimType   = "bash"
)

const (
	idleTimeout = 1500 * time.Millisecond
	perPool     = 4
)
