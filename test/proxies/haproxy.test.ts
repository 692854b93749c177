import { streamsPass } from './streams.ts';
import { HAPROXY } from './table.ts';
import { troubleIsSurvived } from './trouble.ts';

streamsPass(HAPROXY);
troubleIsSurvived(HAPROXY);
