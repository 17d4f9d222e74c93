/** Crowds of clients, as many as a short run allows; ten thousand are test/chaos/cluster-crowd.chaos.ts. */
import { describeCrowd } from "./cluster-crowd-claims.ts";

describeCrowd({ crowd: 1_000, reconnects: 200 });
