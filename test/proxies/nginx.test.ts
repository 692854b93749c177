import { streamsPass } from './streams.ts';
import { NGINX } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(NGINX);
troubleIsSurvived(NGINX);
