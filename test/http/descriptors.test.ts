import { describe, expect, it } from 'vitest';
import { streamsThatFit } from '../../src/http/descriptors.ts';
import { temporaryFile } from '../support/folder.ts';

const limits = (soft: string) => `Limit                     Soft Limit           Hard Limit           Units
Max processes             96355                96355                processes
Max open files            ${soft}                 1048576              files
`;

describe('the streams that fit', () => {
  it('are the files that may be open, less those kept for other things', () => {
    expect(streamsThatFit(temporaryFile(limits('1024')))).toBe(960);
  });
  it('are at least one', () => {
    expect(streamsThatFit(temporaryFile(limits('10')))).toBe(1);
  });
  it('are not known where the system does not say, or sets no limit', () => {
    expect(streamsThatFit('/nowhere/limits')).toBeUndefined();
    expect(streamsThatFit(temporaryFile(limits('unlimited')))).toBeUndefined();
  });
});
