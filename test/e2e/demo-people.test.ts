import type { Browser, BrowserContext, Page } from 'playwright-core';
import { describe, expect, onTestFinished, test } from 'vitest';
import { launchChromium, noChromium } from './chromium.ts';
import { startDemo } from './demo-run.ts';

describe.skipIf(noChromium)('visitors of the demo page in Chromium', () => {
  async function open() {
    const demo = await startDemo();
    const browser = await launchChromium();
    onTestFinished(() => browser.close());
    return { url: demo.page, browser };
  }

  async function openTab(context: BrowserContext, url: string): Promise<Page> {
    const page = await context.newPage();
    page.on('pageerror', (error) => expect.unreachable(`the page threw ${error.message}`));
    await page.goto(url);
    return page;
  }

  /** A visitor with a browser's cookies to himself, who has signed in and sees himself in the chat room. */
  async function visit(browser: Browser, url: string, name: string): Promise<Page> {
    const page = await openTab(await browser.newContext(), url);
    await page.getByLabel('You are').fill(name);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await online(page, name);
    return page;
  }

  const online = (page: Page, name: string) => page.locator('#online', { hasText: name }).waitFor();
  const absent = (page: Page, name: string) => page.locator('#online', { hasNotText: name }).waitFor();
  // Who came in one moment is told in one line.
  const noticed = (page: Page, text: RegExp) => page.locator('#notices p', { hasText: text });
  const unread = (page: Page, count: RegExp) => page.locator('#unread', { hasText: count }).waitFor();

  /** Presses one of the operator's buttons about a user. */
  async function operate(page: Page, user: string, button: string) {
    await page.locator(`#whom option[value="${user}"]`).waitFor({ state: 'attached' });
    await page.getByLabel('User', { exact: true }).selectOption(user);
    await page.getByRole('button', { name: button, exact: true }).click();
  }

  test('see each other come and go, and nothing of a reload', async () => {
    const { browser, url } = await open();
    const ada = await visit(browser, url, 'Ada');
    const bob = await visit(browser, url, 'Bob');
    await online(ada, 'Bob');
    await online(bob, 'Ada');
    await bob.reload();
    await online(bob, 'Ada');
    await online(bob, 'Bob');
    await bob.close();
    await absent(ada, 'Bob');
    expect(await noticed(ada, /join:.* Bob/).count()).toBe(1);
    expect(await noticed(ada, /leave:.* Bob/).count()).toBe(1);
  });

  test('are told by a badge what waits for them, in all tabs, until it is read in one', async () => {
    const { browser, url } = await open();
    const tab = await visit(browser, url, 'Ada');
    const other = await openTab(tab.context(), url);
    await online(other, 'Ada');
    await operate(tab, 'ada', 'Notify');
    for (const page of [tab, other]) await unread(page, /^[1-9]/);
    await operate(tab, 'ada', 'Notify urgently');
    for (const page of [tab, other]) await unread(page, /^[2-9]/);
    await other.getByRole('button', { name: /^Notices/ }).click();
    await other.locator('#pending li').nth(1).waitFor();
    expect(await other.locator('#pending li').first().textContent()).toContain('urgent');
    await other.getByRole('button', { name: 'Mark all read' }).click();
    for (const page of [tab, other]) await page.locator('#unread').waitFor({ state: 'hidden' });
  });

  test('find what came while they were away', async () => {
    const { browser, url } = await open();
    const page = await visit(browser, url, 'Ada');
    const context = page.context();
    await page.close();
    const body = new URLSearchParams({ user: 'ada' });
    expect((await fetch(`${url}notify`, { method: 'POST', body })).status).toBe(200);
    await unread(await openTab(context, url), /^[1-9]/);
  });

  test('are moved to another room, cut off and sent away by the operator', async () => {
    const { browser, url } = await open();
    const ada = await visit(browser, url, 'Ada');
    const bob = await visit(browser, url, 'Bob');
    await operate(bob, 'ada', 'To the attic');
    await ada.locator('#room-subject', { hasText: 'chat.room.attic' }).waitFor();
    await absent(bob, 'Ada');
    await ada.getByLabel('Message').fill('anybody up here?');
    await ada.getByRole('button', { name: 'Send' }).click();
    await ada.locator('#chat', { hasText: 'anybody up here?' }).waitFor();
    expect(await bob.locator('#chat', { hasText: 'anybody up here?' }).count()).toBe(0);
    await operate(bob, 'ada', 'Disconnect');
    await noticed(ada, /close: disconnected/).waitFor();
    await ada.locator('#room-subject', { hasText: 'chat.room.lobby' }).waitFor();
    await operate(bob, 'ada', '… for good');
    await ada.locator('#status', { hasText: 'sent away' }).waitFor();
  });
});
