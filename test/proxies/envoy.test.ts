import { streamsPass } from './streams.ts';
import { ENVOY } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(ENVOY);
troubleIsSurvived(ENVOY);
