// The pages work without this. It copies code, and fills in the address that a server does not see.
'use strict';

for (const block of document.querySelectorAll('pre')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', `Copy: ${block.getAttribute('aria-label')}`);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = 'Copied';
    } catch {
      // The browser does not allow it: the reader copies the marked text.
      getSelection().selectAllChildren(block);
      button.textContent = 'Marked: copy it';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 3000);
  });
  block.before(button);
}

const address = document.querySelector('textarea.whole-address');
if (address && location.hash.includes('=')) {
  address.value = location.href;
}
