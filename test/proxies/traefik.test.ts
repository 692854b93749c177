import { streamsPass } from './streams.ts';
import { TRAEFIK } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(TRAEFIK);
troubleIsSurvived(TRAEFIK);
