import { streamsPass } from './streams.ts';
import { CADDY } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(CADDY);
troubleIsSurvived(CADDY);
