package actor

import (
	"context"
	"fmt"
	"time"

	"herosup/dispatch/store"
)

// healthTime bounds a check whose caller gives no deadline.
const healthTime = 5 * time.Second

// HealthCheck says whether an actor could work from here: Redis answers and lets us read. A Redis without
// an epoch is healthy: the daemon will fill it, and starting the actor again would not help.
func HealthCheck(ctx context.Context, s *store.Store) error {
	ctx, end := context.WithTimeoutCause(ctx, healthTime, fmt.Errorf("%w: no answer within %v", store.ErrAway, healthTime))
	defer end()
	if _, err := s.Epoch(ctx); err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	return nil
}
