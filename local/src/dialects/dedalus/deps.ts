/** What the routes of the DCS API work with. */
import type { ControlPlane } from "../../engine/control-plane";
import type { Faults } from "../../faults";
import type { HttpSettings } from "../../settings";
import type { StatusStreams } from "./status-streams";

export interface DedalusDeps {
  settings: HttpSettings;
  controlPlane: ControlPlane;
  faults: Faults;
  streams: StatusStreams;
}
